# needs: ruby
# version: ruby --version
exec ruby -e '
require "json"
scale = ENV["SCALE"].to_i
state = 1
table = Hash.new { |hash, key| hash[key] = [] }
(40_000 * scale).times do |i|
  state = (state * 16807) % 2147483647
  list = table["key#{state % 3000}"]
  list << "value #{i} " + "x" * (state % 60)
  list.shift if list.size > 12
end
text = JSON.generate(table.sort.to_h)
puts text.size, JSON.parse(text).size, text.scan(/x{50,}/).size
threads = 4.times.map { |n| Thread.new { (0...20_000).map { |i| (i * n).to_s }.join.size } }
puts threads.map(&:value).inspect
puts IO.popen(["sort", "-u"], "r+") { |sort| sort.puts(table.keys.first(500)); sort.close_write; sort.read }.lines.size
puts (1..300).reduce(:*).to_s.size
puts Process.wait2(fork { GC.start; exit(table.size == 3000 ? 7 : 8) })[1].exitstatus
'
