-- Takes from a token's sliding window of a second: what this second granted counts, and of the last one the share that is less than a second ago.
-- KEYS: the window. ARGV: the rate, and how many are wanted. Returns how many are granted.
local time = redis.call('TIME')
local second, part = tonumber(time[1]), tonumber(time[2]) / 1000000
local stored = redis.call('HMGET', KEYS[1], 'second', 'current', 'previous')
local age = stored[1] and second - tonumber(stored[1]) or 2
local current, previous = 0, 0
if age <= 0 then
  current, previous = tonumber(stored[2]), tonumber(stored[3])
elseif age == 1 then
  previous = tonumber(stored[2])
end
local free = tonumber(ARGV[1]) - current - math.floor(previous * (1 - part))
local granted = math.max(0, math.min(tonumber(ARGV[2]), free))
redis.call('HSET', KEYS[1], 'second', second, 'current', current + granted, 'previous', previous)
redis.call('PEXPIRE', KEYS[1], 2000)
return granted
