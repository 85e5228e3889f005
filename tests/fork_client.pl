# What fork_client.py does, for systems with Perl, which starts in a fifth of the time.
use strict;

my ($sendmsg, $address, $program, @words) = @ARGV;
exec { $program } $program, @words or exit 127 if grep { /^(?:COVERAGE_|PYTHON)/ } keys %ENV;

# Python reads the order by marshal: (words, environment, folder), all of them bytes.
sub bytes { return 's' . pack 'V/a*', shift }
my $order = '(' . pack('V', 3) . '[' . pack('V', scalar @words) . join '', map { bytes($_) } @words;
$order .= '{' . join('', map { bytes($_) . bytes($ENV{$_}) } keys %ENV) . '0' . bytes(readlink '/proc/self/cwd');

my ($AF_UNIX, $SOCK_SEQPACKET, $SOL_SOCKET, $SCM_RIGHTS) = (1, 5, 1, 1);
socket(my $line, $AF_UNIX, $SOCK_SEQPACKET, 0) or die "socket: $!";
connect($line, pack 'S a*', $AF_UNIX, "\0$address") or die "connect: $!";
pipe(my $ended, my $end) or die "pipe: $!";
my $rights = pack 'Q l l l4', 32, $SOL_SOCKET, $SCM_RIGHTS, 0, 1, 2, fileno $end;
my $vector = pack 'P Q', $order, length $order;
my $message = pack 'Q L x4 P Q P Q l x4', 0, 0, $vector, 1, $rights, length $rights, 0;
syscall($sendmsg + 0, fileno $line, $message, 0) == length $order or die "sendmsg: $!";
close $end;
recv($line, my $fork, 32, 0);

my @passed_on = qw(HUP INT QUIT TERM USR1 USR2);
for my $name (@passed_on) {
    $SIG{$name} = sub { kill $name, $fork } unless ($SIG{$name} // '') eq 'IGNORE';
}
# A signal between two steps of Perl is handled after the next one: that must not be at the end of the fork.
vec(my $awaited = '', fileno $ended, 1) = 1;
1 until select(my $ready = $awaited, undef, undef, 1) > 0;
sysread($ended, my $exit_code, 32) or exit 1;
if ($exit_code < 0) {
    $SIG{$_} = 'DEFAULT' for @passed_on, 'PIPE';
    kill -$exit_code, $$;
}
exit $exit_code;
