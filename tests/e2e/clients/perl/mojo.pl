# Mojolicious' user agent.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use tell;
use Mojo::UserAgent;
use Mojo::IOLoop;

my $ua = Mojo::UserAgent->new;
$ua->websocket($URL => sub {
    my ($ua, $tx) = @_;
    unless ($tx->is_websocket) { say_line(error => 'handshake failed: ' . ($tx->error ? $tx->error->{message} : $tx->res->code)); exit }
    say_line(open => \1);
    $tx->on(message => sub {
        my ($tx, $text) = @_;
        my $word = message($text);
        $tx->send($FLOOD) if $word eq 'flood';
        $tx->finish(1000) if $word eq 'bye';
    });
    $tx->on(finish => sub { my ($tx, $code, $reason) = @_; say_line(close => $code, reason => $reason); Mojo::IOLoop->stop });
    $tx->send($SUBSCRIBE);
});
Mojo::IOLoop->start;
