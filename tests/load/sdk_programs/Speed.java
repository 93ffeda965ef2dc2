import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.vatsim.swim.HistoryStart;
import org.vatsim.swim.SwimOptions;
import org.vatsim.swim.SwimWebSocketClient;

/** The Java SDK under load: reads commands of sdk_speed.py, reports what its handlers saw. */
public final class Speed {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static int seen;
    private static long first;

    public static void main(String[] arguments) throws Exception {
        String mode = arguments[0];
        int count = Integer.parseInt(arguments[2]);
        double[] latencies = new double[count + 1];
        SwimOptions options = new SwimOptions().reconnectInterval(Duration.ofMillis(50));
        SwimWebSocketClient client =
                new SwimWebSocketClient("swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB", arguments[1], options);
        client.on("flight.*", (data, timestamp) -> {
            if (seen % count == 0) {
                first = System.nanoTime();
            }
            if (data.path("callsign").asText().isEmpty()) {
                throw new IllegalStateException("an event without a callsign");
            }
            if (mode.equals("latency")) {
                Instant now = Instant.now();
                latencies[seen % count] = now.getEpochSecond() * 1e6 + now.getNano() / 1e3 - data.get("sent_us").asDouble();
            }
            seen += 1;
            if (seen % count == 0) {
                ObjectNode told = JSON.createObjectNode().put("seconds", (System.nanoTime() - first) / 1e9);
                for (int number = 0; mode.equals("latency") && number < count; number++) {
                    told.withArray("latencies").add(latencies[number]);
                }
                tell(told);
            }
        });
        client.on("subscribed", (data, timestamp) -> tell(JSON.createObjectNode().put("subscribed", true)));
        client.flights().onChange((what, flight) -> {
            if (mode.equals("mirror") && client.flights().size() == count) {
                tell(JSON.createObjectNode().put("mirrored", count));
            }
        });
        client.subscribe(List.of("flight.*"), Map.of(), mode.equals("mirror") ? HistoryStart.state() : null);
        client.connectAsync();
        while (System.in.read() >= 0) {
            continue;
        }
        System.exit(0);
    }

    private static synchronized void tell(ObjectNode fields) {
        System.out.println(fields);
        System.out.flush();
    }
}
