-- Marks that a partition is about to be compared and filled, unless a newer generation has begun to.
-- KEYS: the marks, as-of, the number of partitions that as-of is of. ARGV: the partition, a token that was never used before and begins with
-- the generation and a dot, the generation, its number of partitions.
-- Returns the name of the server's run and the as-of that documents of the partition must have reached ('' for any); nothing, when it is refused.
local generation, count = tonumber(ARGV[3]), tonumber(ARGV[4])
local function generation_of(mark)
  return tonumber(string.match(mark or '', '^(%d+)%.')) or 0
end
if generation_of(redis.call('HGET', KEYS[1], ARGV[1])) > generation then
  return {}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local claimed, shown = '', redis.call('GET', KEYS[3])
if not shown then
  redis.call('SET', KEYS[3], ARGV[4])
elseif shown ~= ARGV[4] then
  -- Operators move between partitions. What the generation before says of its other partitions stays as it is until all have moved.
  local marks = redis.call('HGETALL', KEYS[1])
  for i = 1, #marks, 2 do
    if tonumber(marks[i]) >= count and generation_of(marks[i + 1]) < generation then
      redis.call('HSET', KEYS[1], marks[i], ARGV[3] .. '.')
    end
  end
  local least = nil
  for _, as_of in ipairs(redis.call('HVALS', KEYS[2])) do
    claimed = as_of > claimed and as_of or claimed
    least = (not least or as_of < least) and as_of or least
  end
  if least then
    redis.call('HSETNX', KEYS[2], ARGV[1], least)
  end
end
local info = redis.pcall('INFO', 'server')
return {type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '', claimed}
