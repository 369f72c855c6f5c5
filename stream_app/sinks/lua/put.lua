-- Sets a document, or removes it, unless a higher version is there; tells the channel what changed.
-- KEYS: the document's key. ARGV: the document ('' removes it), its version ('' where documents have none), the channel.
-- Returns 1 when it changed something, 0 when it is there already, -1 when a higher version is there.
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
redis.call('PUBLISH', ARGV[3], KEYS[1])
return 1
