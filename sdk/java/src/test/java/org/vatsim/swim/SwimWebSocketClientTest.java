package org.vatsim.swim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.vatsim.swim.model.FlightPositions;
import org.vatsim.swim.model.Tmi;

/** What the conformance suite does not see: pure parts, wrong arguments, and threads. */
class SwimWebSocketClientTest {
    private static final ObjectMapper JSON = new ObjectMapper();

    @Test
    void idsAreOrderedByTheirNumbers() {
        assertTrue(EventId.isAfter(EventId.parse("10-10"), EventId.parse("10-9")));
        assertFalse(EventId.isAfter(EventId.parse("9-99"), EventId.parse("10-0")));
        assertNull(EventId.parse("10"));
        assertNull(EventId.parse("10-0\n"));
    }

    @Test
    void pausesDoubleAndAnAdmittedSessionLetsThemGoOn() {
        Backoff backoff = new Backoff(new SwimOptions(), () -> 1.0);
        assertEquals(1_000, backoff.waitMs());
        assertEquals(2_000, backoff.waitMs());
        assertEquals(1_000, backoff.waitAfterSessionMs());
        assertEquals(8_000, backoff.waitMs());
        backoff.ended(60_000);
        assertEquals(1_000, backoff.waitMs());
    }

    @Test
    void addressesAreSeparatedByCommasBetweenThemOnly() {
        assertEquals(List.of("ws://a/?x=1,2", "wss://b/"), Addresses.split(" ws://a/?x=1,2 , wss://b/,ws://a/?x=1,2,"));
        assertThrows(IllegalArgumentException.class, () -> new SwimWebSocketClient("secret", "ws://a/,http://b/"));
    }

    @Test
    void everyAddressIsTriedBeforeAPauseAndOneIsLeftAloneAsItAsks() {
        Backoff backoff = new Backoff(new SwimOptions(), () -> 1.0);
        Addresses addresses =
                new Addresses(List.of(URI.create("ws://a/"), URI.create("ws://b/"), URI.create("ws://c/")), new Random(1));
        URI first = addresses.current();
        assertEquals(0, addresses.failed(backoff, 0, 60L, 0));
        URI second = addresses.current();
        assertEquals(0, addresses.failed(backoff, 1, null, 0));
        URI third = addresses.current();
        assertTrue(addresses.isLast(2));
        assertEquals(1_000, addresses.failed(backoff, 2, null, 0));
        assertEquals(Set.of(first, second, third).size(), 3);
        assertEquals(second, addresses.current());
        addresses.ended(true);
        assertEquals(second, addresses.current());
        addresses.ended(false);
        assertEquals(third, addresses.current());
        addresses.ended(false);
        assertEquals(first, addresses.current());
    }

    @Test
    void retryIsReadFromTheReason() {
        assertEquals(250, Backoff.retryMs("the service restarts; retry_ms=250"));
        assertNull(Backoff.retryMs("retry_ms=soon"));
    }

    @Test
    void modelsReadAnythingAndNeverFail() throws IOException {
        JsonNode batch = JSON.readTree("{\"count\": \"2\", \"positions\": [{\"callsign\": \"BAW1\", \"latitude\": null}, 7]}");
        FlightPositions positions = FlightPositions.from(batch);
        assertEquals(2L, positions.count);
        assertEquals("BAW1", positions.positions.get(0).callsign);
        assertNull(positions.positions.get(0).latitude);
        assertNull(positions.positions.get(1).callsign);
        assertEquals("7", Tmi.from(JSON.readTree("{\"program_id\": 7}")).programId);
    }

    @Test
    void wrongArgumentsAreToldAndTheKeyIsNot() {
        IllegalArgumentException told = assertThrows(
                IllegalArgumentException.class, () -> new SwimWebSocketClient("secret", "http://x/?api_key=secret"));
        assertTrue(told.getMessage().contains("must begin with ws://"));
        assertFalse(told.getMessage().contains("secret"));
        assertThrows(IllegalArgumentException.class, () -> new SwimOptions().maxMessageBytes(100));
        assertThrows(IllegalArgumentException.class, () -> HistoryStart.after("yesterday"));
        SwimWebSocketClient client = new SwimWebSocketClient("secret", "ws://127.0.0.1:1/");
        assertThrows(IllegalArgumentException.class, () -> client.subscribe(List.of(), Map.of()));
    }

    @Test
    void requestsWithoutAConnectionFailAtOnce() {
        SwimWebSocketClient client = new SwimWebSocketClient("secret", "ws://127.0.0.1:1/");
        assertTrue(client.ping().isCompletedExceptionally());
        assertTrue(client.publish("tmi.issued", JSON.createObjectNode()).isCompletedExceptionally());
        client.disconnect();
        assertFalse(client.isConnected());
    }

    @Test
    void positionIsKeptInAFile(@TempDir Path folder) throws IOException {
        PositionStore store = PositionStore.file(folder.resolve("position.json"));
        assertNull(store.load());
        store.save("one");
        store.save("two");
        assertEquals("two", store.load());
    }

    @Test
    void noThreadIsLeftAfterDisconnect() throws Exception {
        try (ServerSocket silent = new ServerSocket(0)) {
            SwimOptions options = new SwimOptions().reconnectInterval(Duration.ofMillis(20));
            SwimWebSocketClient client =
                    new SwimWebSocketClient("secret", "ws://127.0.0.1:" + silent.getLocalPort() + "/", options);
            client.connectAsync();
            silent.accept().close();
            silent.accept();
            client.disconnect();
            client = null;
        }
        long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (!ownThreads().isEmpty() && System.nanoTime() < deadline) {
            System.gc(); // ends the JDK's selector thread
            Thread.sleep(50);
        }
        assertEquals(Set.of(), ownThreads());
    }

    private static Set<String> ownThreads() {
        return Thread.getAllStackTraces().keySet().stream()
                .map(Thread::getName)
                .filter(name -> name.startsWith("swim-") || name.startsWith("HttpClient-"))
                .collect(Collectors.toSet());
    }
}
