# What every client says on standard output: one JSON object a line; and what an event asks of it.
# A client is started as PROGRAM URL SUBSCRIBE BUSY_SECONDS.
require 'json'

$stdout.sync = true
URL, SUBSCRIBE, BUSY_SECONDS = ARGV
FLOOD = 'x' * 1_100_000 # beyond the 1 MiB at which the service closes with 1009

def tell(**what) = puts(what.to_json)

def message(text)
  puts %({"message":#{text}})
  word = text[0, 500][/"do":"(busy|flood|bye)"/, 1]
  sleep BUSY_SECONDS.to_f if word == 'busy'
  word
end
