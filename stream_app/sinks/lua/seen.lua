-- Marks that a state of an operator was seen, so that no writer with an older one changes anything of it any more.
-- KEYS: the operator's document of groups, the seen version. ARGV: the version of the writer's state. Returns the document, or nothing.
local seen = redis.pcall('GET', KEYS[2])
if type(seen) ~= 'string' or (tonumber(seen) or 0) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[2], ARGV[1])
end
return redis.call('GET', KEYS[1])
