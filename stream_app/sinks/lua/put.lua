-- Sets a document, or removes it, unless a higher version is there, or the writer is behind what was seen of the operator; tells the channel
-- what changed.
-- KEYS: the document's key, the seen version of the operator. ARGV: the document ('' removes it), its version ('' where documents have none),
-- the version of the writer's state, the channel.
-- Returns 1 when it changed something, 0 when it is there already, -1 when it was refused.
local seen, state = redis.pcall('GET', KEYS[2]), tonumber(ARGV[3])
seen = type(seen) == 'string' and tonumber(seen) or 0
if state < seen then
  return -1
end
local old = redis.pcall('GET', KEYS[1])
if old == ARGV[1] then
  return 0
end
if type(old) == 'string' and ARGV[2] ~= '' then
  local read, document = pcall(cjson.decode, old)
  if read and type(document) == 'table' and (tonumber(document.version) or -1) > tonumber(ARGV[2]) then
    return -1
  end
end
if ARGV[1] ~= '' then
  redis.call('SET', KEYS[1], ARGV[1])
elseif redis.call('DEL', KEYS[1]) == 0 then
  return 0
end
if state > seen and (ARGV[1] == '' or ARGV[2] == '') then
  redis.call('SET', KEYS[2], ARGV[3]) -- what is there does not tell its version
end
redis.call('PUBLISH', ARGV[4], KEYS[1])
return 1
