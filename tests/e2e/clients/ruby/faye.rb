# faye-websocket, on EventMachine.
require 'eventmachine'
require 'faye/websocket'
require_relative 'tell'

EM.run do
  ws = Faye::WebSocket::Client.new(URL)
  ws.on(:open) { tell(open: true); ws.send(SUBSCRIBE) }
  ws.on(:message) do |event|
    case message(event.data)
    when 'flood' then ws.send(FLOOD)
    when 'bye' then ws.close(1000)
    end
  end
  ws.on(:error) { |event| tell(error: event.message) }
  ws.on(:close) { |event| tell(close: event.code, reason: event.reason); EM.stop }
end
