import jakarta.websocket.ClientEndpoint;
import jakarta.websocket.CloseReason;
import jakarta.websocket.ContainerProvider;
import jakarta.websocket.OnClose;
import jakarta.websocket.OnError;
import jakarta.websocket.OnMessage;
import jakarta.websocket.OnOpen;
import jakarta.websocket.Session;
import java.io.IOException;
import java.net.URI;

/** Tomcat, by the Jakarta WebSocket API. */
@ClientEndpoint
public class Tomcat {
  public static void main(String[] arguments) throws Exception {
    URI uri = URI.create(Tell.start(arguments));
    ContainerProvider.getWebSocketContainer().connectToServer(Tomcat.class, uri);
    Tell.stay();
  }

  @OnOpen public void onOpen(Session session) throws IOException {
    Tell.open();
    session.getBasicRemote().sendText(Tell.subscribe);
  }

  @OnMessage public void onMessage(String message, Session session) throws IOException {
    switch (Tell.message(message)) {
      case "flood" -> session.getBasicRemote().sendText(Tell.FLOOD);
      case "bye" -> session.close();
      default -> {}
    }
  }

  @OnError public void onError(Session session, Throwable error) {
    Tell.error(error);
  }

  @OnClose public void onClose(Session session, CloseReason reason) {
    Tell.closed(reason.getCloseCode().getCode(), reason.getReasonPhrase());
    Tell.end();
  }
}
