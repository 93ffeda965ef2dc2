# AnyEvent::WebSocket::Client.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use tell;
use AnyEvent;
use AnyEvent::WebSocket::Client;

my $done = AnyEvent->condvar;
my $connection;
AnyEvent::WebSocket::Client->new->connect($URL)->cb(sub {
    $connection = eval { shift->recv };
    if ($@) { say_line(error => "$@"); return $done->send }
    say_line(open => \1);
    $connection->on(each_message => sub {
        my ($connection, $message) = @_;
        my $word = message($message->body);
        $connection->send($FLOOD) if $word eq 'flood';
        $connection->close if $word eq 'bye';
    });
    $connection->on(parse_error => sub { my ($connection, $error) = @_; say_line(error => $error) });
    $connection->on(finish => sub { my ($connection) = @_; say_line(close => $connection->close_code, reason => $connection->close_reason); $done->send });
    $connection->send($SUBSCRIBE);
});
$done->recv;
