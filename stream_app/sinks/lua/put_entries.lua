-- Sets entries of operators, but for those of which a newer state was seen.
-- KEYS: the entries, the seen versions. ARGV: the version of the writer's state, and for each operator its id and its entry.
for i = 2, #ARGV, 2 do
  if (tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or '') or 0) <= tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[1])
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
