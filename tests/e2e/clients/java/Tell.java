import java.util.Map;

/** What every client says on standard output: one JSON object a line; and what an event asks of it. Arguments: URL SUBSCRIBE BUSY_SECONDS. */
final class Tell {
  static final String FLOOD = "x".repeat(1_100_000); // beyond the 1 MiB at which the service closes with 1009
  static String subscribe;
  private static long busyMillis;

  static String start(String[] arguments) {
    subscribe = arguments[1];
    busyMillis = (long) (Double.parseDouble(arguments[2]) * 1000);
    return arguments[0];
  }

  static synchronized void open() {
    say("{\"open\":true}");
  }

  static void closed(int code, String reason) {
    say("{\"close\":" + code + ",\"reason\":" + quoted(reason) + "}");
  }

  static void error(Object error) {
    say("{\"error\":" + quoted(String.valueOf(error)) + "}");
  }

  /** Print a message; return what it asks: flood, bye or nothing. It is busy itself. */
  static String message(String text) {
    say("{\"message\":" + text + "}");
    String head = text.substring(0, Math.min(500, text.length()));
    for (String word : new String[] {"busy", "flood", "bye"}) {
      if (head.contains("\"do\":\"" + word + "\"")) {
        if (word.equals("busy")) sleep(busyMillis);
        return word;
      }
    }
    return "";
  }

  /** Let the threads of a library that doesn't tell when all is over work on, until one calls end. */
  static void stay() {
    sleep(120_000);
  }

  static void end() {
    System.exit(0);
  }

  private static void sleep(long millis) {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
    }
  }

  private static synchronized void say(String line) {
    System.out.println(line);
    System.out.flush();
  }

  private static String quoted(String text) {
    if (text == null) return "null";
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"';
  }
}
