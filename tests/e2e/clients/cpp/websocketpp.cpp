// websocketpp on Boost.Asio.
#include <websocketpp/client.hpp>
#include <websocketpp/config/asio_no_tls_client.hpp>
#include <websocketpp/extensions/permessage_deflate/enabled.hpp>

#include "../c/tell.h"

struct Config : websocketpp::config::asio_client {
  struct permessage_deflate_config {};
  typedef websocketpp::extensions::permessage_deflate::enabled<permessage_deflate_config> permessage_deflate_type;
};
typedef websocketpp::client<Config> Client;

int main(int, char **argv) {
  tell_start(argv);
  Client client;
  client.clear_access_channels(websocketpp::log::alevel::all);
  client.clear_error_channels(websocketpp::log::elevel::all);
  client.init_asio();
  client.set_open_handler([&](websocketpp::connection_hdl handle) {
    tell_open();
    client.send(handle, subscribe, websocketpp::frame::opcode::text);
  });
  client.set_message_handler([&](websocketpp::connection_hdl handle, Client::message_ptr message) {
    size_t length;
    switch (tell_message(message->get_payload().data(), message->get_payload().size())) {
      case 'f': client.send(handle, tell_flood(&length), websocketpp::frame::opcode::text); break;
      case 'b': client.close(handle, websocketpp::close::status::normal, ""); break;
    }
  });
  client.set_fail_handler([&](websocketpp::connection_hdl handle) {
    tell_error(client.get_con_from_hdl(handle)->get_ec().message().c_str());
  });
  client.set_close_handler([&](websocketpp::connection_hdl handle) {
    auto connection = client.get_con_from_hdl(handle);
    tell_error(connection->get_ec().message().c_str());
    tell_close(connection->get_remote_close_code(), connection->get_remote_close_reason().c_str());
  });
  websocketpp::lib::error_code error;
  client.connect(client.get_connection(url, error));
  client.run();
}
