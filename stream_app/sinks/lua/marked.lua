-- Looks whether a server may have lost documents since it was compared: a mark is gone, or it runs for another time.
-- KEYS: the marks. ARGV: for each partition its number, token and run. Returns the numbers of those that it may have lost some of.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local lost = {}
for i = 1, #ARGV, 3 do
  if redis.call('HGET', KEYS[1], ARGV[i]) ~= ARGV[i + 1] or run ~= ARGV[i + 2] then
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
