import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.util.concurrent.CompletionStage;

/** The JDK's own client, java.net.http. */
class Jdk {
  public static void main(String[] arguments) {
    URI uri = URI.create(Tell.start(arguments));
    HttpClient.newHttpClient().newWebSocketBuilder().buildAsync(uri, new Listener()).whenComplete((socket, error) -> {
      if (error != null) {
        Tell.error(error);
        Tell.end();
      }
    });
    Tell.stay();
  }

  private static class Listener implements WebSocket.Listener {
    private final StringBuilder text = new StringBuilder();

    @Override public void onOpen(WebSocket socket) {
      Tell.open();
      socket.sendText(Tell.subscribe, true);
      socket.request(1);
    }

    @Override public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
      text.append(data);
      if (last) {
        String whole = text.toString();
        text.setLength(0);
        switch (Tell.message(whole)) {
          case "flood" -> socket.sendText(Tell.FLOOD, true);
          case "bye" -> socket.sendClose(WebSocket.NORMAL_CLOSURE, "");
          default -> {}
        }
      }
      socket.request(1);
      return null;
    }

    @Override public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
      Tell.closed(code, reason);
      new Thread(() -> {
        try {
          Thread.sleep(300);
        } catch (InterruptedException ignored) {
          Thread.currentThread().interrupt();
        }
        Tell.end();
      }).start();
      return null;
    }

    @Override public void onError(WebSocket socket, Throwable error) {
      Tell.error(error);
      Tell.end();
    }
  }
}
