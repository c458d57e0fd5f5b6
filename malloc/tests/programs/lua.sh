# needs: lua5.4
# version: lua5.4 -v
exec lua5.4 -e '
local scale, state, keys = tonumber(os.getenv("SCALE")), 1, {}
for i = 1, 60000 * scale do
  state = state * 16807 % 2147483647
  local key = "key" .. state % 4000
  local list = keys[key] or {}
  keys[key] = list
  list[#list + 1] = ("value %d %s"):format(i, ("x"):rep(state % 60))
  if #list > 15 then table.remove(list, 1) end
end
local names, total = {}, 0
for name, list in pairs(keys) do
  names[#names + 1] = name
  for _, text in ipairs(list) do total = total + #text end
end
table.sort(names)
print(#names, names[1], names[#names], total)
local text = table.concat(names, ",")
print(#text:gsub("key(%d)", "<%1>"), select(2, text:gsub("7", "7")))
local makers = {}
for i = 1, 2000 do makers[i] = coroutine.wrap(function() for j = 1, 3 do coroutine.yield(i * j) end end) end
local sum = 0
for _ = 1, 3 do for _, make in ipairs(makers) do sum = sum + make() end end
print(sum)
'
