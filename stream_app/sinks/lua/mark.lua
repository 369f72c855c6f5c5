-- Marks a server that is about to be compared and filled. KEYS: the marks. ARGV: the partition, a token that was never used before.
-- Returns the name of the server's run.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local info = redis.pcall('INFO', 'server')
return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
