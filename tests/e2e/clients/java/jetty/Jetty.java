import java.net.URI;
import org.eclipse.jetty.websocket.api.Callback;
import org.eclipse.jetty.websocket.api.Session;
import org.eclipse.jetty.websocket.client.ClientUpgradeRequest;
import org.eclipse.jetty.websocket.client.WebSocketClient;

/** Jetty's client. */
public class Jetty {
  public static void main(String[] arguments) throws Exception {
    URI uri = URI.create(Tell.start(arguments));
    WebSocketClient client = new WebSocketClient();
    client.start();
    ClientUpgradeRequest request = new ClientUpgradeRequest();
    request.addExtensions("permessage-deflate");
    client.connect(new Listener(), uri, request).get();
    Tell.stay();
  }

  public static class Listener implements Session.Listener.AutoDemanding {
    private Session session;

    @Override public void onWebSocketOpen(Session session) {
      this.session = session;
      Tell.open();
      session.sendText(Tell.subscribe, Callback.NOOP);
    }

    @Override public void onWebSocketText(String message) {
      switch (Tell.message(message)) {
        case "flood" -> session.sendText(Tell.FLOOD, Callback.NOOP);
        case "bye" -> session.close();
        default -> {}
      }
    }

    @Override public void onWebSocketError(Throwable error) {
      Tell.error(error);
    }

    @Override public void onWebSocketClose(int code, String reason) {
      Tell.closed(code, reason);
      new Thread(Tell::end).start();
    }
  }
}
