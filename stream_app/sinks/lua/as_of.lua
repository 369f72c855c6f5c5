-- Raises as-of of partitions, except of those whose mark is gone or that were filled in another run of the server: what they hold is unknown.
-- While operators move to another number of partitions, as-of stays until all of those are filled: a document that is still to be moved
-- takes its as-of from a partition that may be filled already.
-- KEYS: as-of, the marks, the number of partitions that as-of is of, the partitions that are filled of another number. ARGV: the generation,
-- its number of partitions, and for each partition its number, as-of, token and run. Returns the numbers of those left out.
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
local emptied, whole = {}, {}
for i = 3, #ARGV, 4 do
  if redis.call('HGET', KEYS[2], ARGV[i]) ~= ARGV[i + 2] or run ~= ARGV[i + 3] then
    emptied[#emptied + 1] = ARGV[i]
  else
    whole[#whole + 1] = i
  end
end
if #whole > 0 and redis.call('GET', KEYS[3]) ~= ARGV[2] then
  local count = tonumber(ARGV[2])
  for _, i in ipairs(whole) do
    redis.call('HSET', KEYS[4], ARGV[i], ARGV[1])
  end
  for partition = 0, count - 1 do
    if redis.call('HGET', KEYS[4], partition) ~= ARGV[1] then
      return emptied
    end
  end
  for _, partition in ipairs(redis.call('HKEYS', KEYS[1])) do
    if tonumber(partition) >= count then
      redis.call('HDEL', KEYS[1], partition)
    end
  end
  redis.call('DEL', KEYS[4])
  redis.call('SET', KEYS[3], ARGV[2])
end
for _, i in ipairs(whole) do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  if not old or old < ARGV[i + 1] then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return emptied
