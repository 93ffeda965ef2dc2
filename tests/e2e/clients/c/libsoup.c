/* libsoup 3. */
#include <libsoup/soup.h>
#include "tell.h"

static GMainLoop *loop;

static void on_message(SoupWebsocketConnection *ws, gint type, GBytes *message, gpointer data) {
  gsize length;
  const char *text = g_bytes_get_data(message, &length);
  switch (tell_message(text, length)) {
    case 'f': { char *flood = tell_flood(&length); soup_websocket_connection_send_text(ws, flood); free(flood); break; }
    case 'b': soup_websocket_connection_close(ws, SOUP_WEBSOCKET_CLOSE_NORMAL, NULL); break;
  }
}

static void on_error(SoupWebsocketConnection *ws, GError *error, gpointer data) { tell_error(error->message); }

static void on_closed(SoupWebsocketConnection *ws, gpointer data) {
  tell_close(soup_websocket_connection_get_close_code(ws), soup_websocket_connection_get_close_data(ws));
  g_main_loop_quit(loop);
}

static void on_connected(GObject *session, GAsyncResult *result, gpointer data) {
  GError *error = NULL;
  SoupWebsocketConnection *ws = soup_session_websocket_connect_finish(SOUP_SESSION(session), result, &error);
  if (ws == NULL) { tell_error(error->message); g_main_loop_quit(loop); return; }
  tell_open();
  g_signal_connect(ws, "message", G_CALLBACK(on_message), NULL);
  g_signal_connect(ws, "error", G_CALLBACK(on_error), NULL);
  g_signal_connect(ws, "closed", G_CALLBACK(on_closed), NULL);
  soup_websocket_connection_send_text(ws, subscribe);
}

int main(int argc, char **argv) {
  tell_start(argv);
  loop = g_main_loop_new(NULL, FALSE);
  SoupSession *session = soup_session_new();
  SoupMessage *request = soup_message_new("GET", url);
  soup_session_websocket_connect_async(session, request, NULL, NULL, G_PRIORITY_DEFAULT, NULL, on_connected, NULL);
  g_main_loop_run(loop);
  return 0;
}
