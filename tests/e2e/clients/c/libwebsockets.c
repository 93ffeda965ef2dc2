/* libwebsockets, without extensions, which is its default. Messages come in pieces of rx_buffer_size.
 * With its permessage-deflate, version 4.1.6 hands over a message that was sent plain again and again. */
#include <libwebsockets.h>
#include "tell.h"

static char *pending, *received;
static size_t pending_length, received_length;
static int over, leaving;

static int callback(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t length) {
  switch (why) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      tell_open();
      pending = strdup(subscribe), pending_length = strlen(subscribe);
      lws_callback_on_writable(wsi);
      break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      if (leaving) { lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0); return -1; }
      if (pending) {
        unsigned char *buffer = malloc(LWS_PRE + pending_length);
        memcpy(buffer + LWS_PRE, pending, pending_length);
        lws_write(wsi, buffer + LWS_PRE, pending_length, LWS_WRITE_TEXT);
        free(buffer), free(pending), pending = NULL;
      }
      break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
      received = realloc(received, received_length + length + 1);
      memcpy(received + received_length, in, length), received_length += length;
      if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi)) break;
      switch (tell_message(received, received_length)) {
        case 'f': pending = tell_flood(&pending_length); lws_callback_on_writable(wsi); break;
        case 'b': leaving = 1; lws_callback_on_writable(wsi); break;
      }
      received_length = 0;
      break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: {
      char reason[124] = {0};
      if (length > 2) memcpy(reason, (char *)in + 2, length - 2);
      tell_close(length >= 2 ? ((unsigned char *)in)[0] << 8 | ((unsigned char *)in)[1] : 1005, reason);
      break;
    }
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR: tell_error(in ? in : "connection error"); over = 1; break;
    case LWS_CALLBACK_CLIENT_CLOSED: puts("{\"disconnected\":true}"); fflush(stdout); over = 1; break;
    default: break;
  }
  return 0;
}

static const struct lws_protocols protocols[] = {{"client", callback, 0, 65536}, {0}};

int main(int argc, char **argv) {
  tell_start(argv);
  lws_set_log_level(LLL_ERR, NULL);
  struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols};
  struct lws_context *context = lws_create_context(&info);
  const char *scheme, *address, *path;
  char where[512], full[512];
  int port;
  strncpy(where, url, sizeof where - 1);
  lws_parse_uri(where, &scheme, &address, &port, &path);
  snprintf(full, sizeof full, "/%s", path);
  struct lws_client_connect_info connect = {.context = context, .address = address, .port = port, .path = full,
    .host = address, .origin = address, .ietf_version_or_minus_one = -1};
  lws_client_connect_via_info(&connect);
  while (!over && lws_service(context, 0) >= 0) {}
  lws_context_destroy(context);
  return 0;
}
