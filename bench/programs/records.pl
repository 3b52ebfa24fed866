# Records read, split, hashed, sorted, matched, formatted.
use strict;
use warnings;

my (%sum, %seen, @long);
open my $file, '<', $ARGV[0] or die "$ARGV[0]: $!";
while (my $line = <$file>) {
    chomp $line;
    my ($key, $name, $amount) = split /,/, $line;
    $sum{$name} += $amount;
    $seen{$key % 997}++;
    push @long, $name if $name =~ /^name(\d)\1/ && length($name) > 6;
    ($amount) = $amount =~ s/\./:/r =~ /^(\d+)/;
    $sum{total} += $amount;
}
my @order = sort { $sum{$b} <=> $sum{$a} || $a cmp $b } keys %sum;
printf "%-10s %12.2f\n", $_, $sum{$_} for @order[0 .. 9];
print scalar(@long), ' ', scalar(keys %seen), ' ', join('', map { chr(97 + length($_) % 26) } @long[0 .. 40]), "\n";
