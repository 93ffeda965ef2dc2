/* What every client says on standard output: one JSON object a line; and what an event asks of it.
 * A client is started as PROGRAM URL SUBSCRIBE BUSY_SECONDS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *url, *subscribe;
static double busy_seconds;

static void tell_start(char **argv) {
  url = argv[1], subscribe = argv[2], busy_seconds = atof(argv[3]);
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
}

static void tell_quoted(const char *text) {
  putchar('"');
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') putchar('\\');
    if ((unsigned char)*text >= ' ') putchar(*text);
  }
  putchar('"');
}

static void tell_open(void) { puts("{\"open\":true}"); fflush(stdout); }

static void tell_close(int code, const char *reason) {
  printf("{\"close\":%d,\"reason\":", code);
  tell_quoted(reason ? reason : "");
  puts("}");
  fflush(stdout);
}

static void tell_error(const char *error) {
  fputs("{\"error\":", stdout);
  tell_quoted(error ? error : "(none)");
  puts("}");
  fflush(stdout);
}

/* Print a message; return what it asks: 'f' flood, 'b' bye, or 0. It is busy itself. */
static char tell_message(const char *text, size_t length) {
  char head[501] = {0};
  fputs("{\"message\":", stdout);
  fwrite(text, 1, length, stdout);
  puts("}");
  fflush(stdout);
  memcpy(head, text, length < 500 ? length : 500);
  if (strstr(head, "\"do\":\"busy\"")) usleep((useconds_t)(busy_seconds * 1e6));
  return strstr(head, "\"do\":\"flood\"") ? 'f' : strstr(head, "\"do\":\"bye\"") ? 'b' : 0;
}

/* Beyond the 1 MiB at which the service closes with 1009. */
static char *tell_flood(size_t *length) {
  char *text = (char *)malloc((*length = 1100000) + 1);
  memset(text, 'x', *length);
  text[*length] = 0;
  return text;
}
