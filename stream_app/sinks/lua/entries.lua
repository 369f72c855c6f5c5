-- Entries of operators, and marks that a state of them was seen, so that no writer with an older one changes them any more.
-- KEYS: the entries, the seen versions. ARGV: the version of the writer's state, the operators.
local out = {}
for i = 2, #ARGV do
  if (tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or '') or 0) < tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[1])
  end
  out[i - 1] = redis.call('HGET', KEYS[1], ARGV[i])
end
return out
