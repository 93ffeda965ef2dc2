import java.net.URI;
import org.java_websocket.client.WebSocketClient;
import org.java_websocket.drafts.Draft_6455;
import org.java_websocket.extensions.permessage_deflate.PerMessageDeflateExtension;
import org.java_websocket.handshake.ServerHandshake;

/** Java-WebSocket. */
class JavaWebSocket {
  public static void main(String[] arguments) throws Exception {
    new WebSocketClient(URI.create(Tell.start(arguments)), new Draft_6455(new PerMessageDeflateExtension())) {
      @Override public void onOpen(ServerHandshake handshake) {
        Tell.open();
        send(Tell.subscribe);
      }

      @Override public void onMessage(String message) {
        switch (Tell.message(message)) {
          case "flood" -> send(Tell.FLOOD);
          case "bye" -> close();
          default -> {}
        }
      }

      @Override public void onClose(int code, String reason, boolean remote) {
        Tell.closed(code, reason);
        Tell.end();
      }

      @Override public void onError(Exception error) {
        Tell.error(error);
      }
    }.run();
  }
}
