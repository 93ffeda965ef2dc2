import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;
import okhttp3.WebSocket;
import okhttp3.WebSocketListener;

/** OkHttp. */
class OkHttp {
  public static void main(String[] arguments) {
    Request request = new Request.Builder().url(Tell.start(arguments)).build();
    new OkHttpClient().newWebSocket(request, new WebSocketListener() {
      @Override public void onOpen(WebSocket socket, Response response) {
        Tell.open();
        socket.send(Tell.subscribe);
      }

      @Override public void onMessage(WebSocket socket, String text) {
        switch (Tell.message(text)) {
          case "flood" -> socket.send(Tell.FLOOD);
          case "bye" -> socket.close(1000, null);
          default -> {}
        }
      }

      @Override public void onClosing(WebSocket socket, int code, String reason) {
        Tell.closed(code, reason);
        socket.close(1000, null);
      }

      @Override public void onClosed(WebSocket socket, int code, String reason) {
        Tell.closed(code, reason);
        Tell.end();
      }

      @Override public void onFailure(WebSocket socket, Throwable error, Response response) {
        Tell.error(error);
        Tell.end();
      }
    });
    Tell.stay();
  }
}
