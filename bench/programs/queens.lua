-- Eight queens and more by backtracking, tables of tables, closures, strings.
local function queens(n)
  local columns, up, down, solutions = {}, {}, {}, 0
  local function place(row)
    if row > n then
      solutions = solutions + 1
      return
    end
    for column = 1, n do
      if not (columns[column] or up[row + column] or down[row - column]) then
        columns[column], up[row + column], down[row - column] = true, true, true
        place(row + 1)
        columns[column], up[row + column], down[row - column] = nil, nil, nil
      end
    end
  end
  place(1)
  return solutions
end

local parts = {}
for n = 4, 9 do parts[#parts + 1] = string.format("%d:%d", n, queens(n)) end
local words, seed = {}, 42
for i = 1, 120000 do
  seed = (seed * 16807) % 2147483647
  words[i] = string.format("%x", seed):sub(1, 5)
end
table.sort(words)
local joined = table.concat(words, " ", 1, 2000):gsub("a(%x)", "%1b")
print(table.concat(parts, " "), #joined, words[30000])
