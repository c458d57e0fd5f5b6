# needs: perl
# version: perl -v
exec perl -we '
use strict;
my (%table, @list);
my $state = 1;
for my $i (1 .. 40_000 * $ENV{SCALE}) {
    $state = ($state * 1103515245 + 12345) % 2147483648;
    my $key = "key" . ($state % 5000);
    push @{ $table{$key} }, "value $i " . ("x" x ($state % 50));
    shift @{ $table{$key} } if @{ $table{$key} } > 20;
    push @list, { name => $key, number => $state } if $i % 3 == 0;
}
my @sorted = sort { $a->{number} <=> $b->{number} || $a->{name} cmp $b->{name} } @list;
print scalar(keys %table), " keys, first $sorted[0]{name}, last $sorted[-1]{name}\n";
my $text = join ",", map { "$_->{name}=$_->{number}" } @sorted[0 .. 5000];
my $found = () = $text =~ /key(\d+)5=(\d+)/g;
$text =~ s/key(\d)/<$1>/g;
print length($text), " characters, $found found\n";
my $copy = "";
$copy .= $_ for map { reverse } split /,/, $text;
print length($copy), "\n";
'
