# needs: php
# version: php --version
cat >work.php <<'END'
<?php
$scale = (int) getenv('SCALE');
$state = 1;
$table = [];
for ($i = 0; $i < 60000 * $scale; $i++) {
    $state = $state * 16807 % 2147483647;
    $key = 'key' . $state % 4000;
    $table[$key][] = "value $i " . str_repeat('x', $state % 60);
    if (count($table[$key]) > 15) array_shift($table[$key]);
}
ksort($table);
$text = json_encode($table);
echo count($table), ' ', strlen($text), ' ', count(json_decode($text, true)), "\n";
echo strlen(gzcompress($text)) > 1000, ' ', preg_match_all('/x{50,}/', $text), "\n";
echo md5(serialize($table)), ' ', strlen(str_replace('value', 'v', $text)), "\n";
END
# With its own allocator, and with malloc for each of its blocks.
php work.php && USE_ZEND_ALLOC=0 php work.php
