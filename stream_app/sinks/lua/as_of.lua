-- Raises as-of of partitions, except of those whose mark is gone or that were filled in another run of the server: what they hold is unknown.
-- KEYS: as-of, the marks. ARGV: for each partition its number, as-of, token and run. Returns the numbers of those left out.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local emptied = {}
for i = 1, #ARGV, 4 do
  if redis.call('HGET', KEYS[2], ARGV[i]) ~= ARGV[i + 2] or run ~= ARGV[i + 3] then
    emptied[#emptied + 1] = ARGV[i]
  else
    local old = redis.call('HGET', KEYS[1], ARGV[i])
    if not old or old < ARGV[i + 1] then
      redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    end
  end
end
return emptied
