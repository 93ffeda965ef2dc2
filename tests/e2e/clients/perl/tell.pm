# What every client says on standard output: one JSON object a line; and what an event asks of it.
# A client is started as PROGRAM URL SUBSCRIBE BUSY_SECONDS.
package tell;
use strict;
use warnings;
use Exporter 'import';
use JSON::PP;
use Time::HiRes ();
our @EXPORT = qw($URL $SUBSCRIBE $FLOOD say_line message);
our ($URL, $SUBSCRIBE, $BUSY_SECONDS) = @ARGV;
our $FLOOD = 'x' x 1_100_000;    # beyond the 1 MiB at which the service closes with 1009
$| = 1;

sub say_line { my (%what) = @_; print JSON::PP->new->allow_nonref->encode(\%what), "\n" }

sub message {
    my ($text) = @_;
    utf8::encode($text) if utf8::is_utf8($text);
    print qq({"message":$text}\n);
    my ($word) = substr($text, 0, 500) =~ /"do":"(busy|flood|bye)"/ or return '';
    Time::HiRes::sleep($BUSY_SECONDS) if $word eq 'busy';
    return $word;
}
1;
