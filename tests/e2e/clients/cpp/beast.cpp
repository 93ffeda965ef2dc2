// Boost.Beast.
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <regex>
#include <string>

#include "../c/tell.h"

namespace websocket = boost::beast::websocket;
using tcp = boost::asio::ip::tcp;

int main(int, char **argv) {
  tell_start(argv);
  std::smatch parts;
  std::string where(url);
  std::regex_match(where, parts, std::regex("ws://([^:/]+):([0-9]+)(/.*)"));
  boost::asio::io_context io;
  websocket::stream<tcp::socket> ws(io);
  try {
    boost::asio::connect(ws.next_layer(), tcp::resolver(io).resolve(parts[1].str(), parts[2].str()));
    websocket::permessage_deflate deflate;
    deflate.client_enable = true;
    ws.set_option(deflate);
    ws.handshake(parts[1].str() + ":" + parts[2].str(), parts[3].str());
    tell_open();
    ws.write(boost::asio::buffer(subscribe, strlen(subscribe)));
    for (;;) {
      boost::beast::flat_buffer buffer;
      ws.read(buffer);
      std::string text = boost::beast::buffers_to_string(buffer.data());
      size_t length;
      switch (tell_message(text.data(), text.size())) {
        case 'f': { char *flood = tell_flood(&length); ws.write(boost::asio::buffer(flood, length)); break; }
        case 'b': ws.close(websocket::close_code::normal); tell_close(1000, ""); return 0;
      }
    }
  } catch (boost::system::system_error const &error) {
    tell_error(error.code().message().c_str());
    if (error.code() == websocket::error::closed) tell_close(ws.reason().code, ws.reason().reason.c_str());
  }
}
