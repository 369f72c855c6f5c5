-- Versions of documents. KEYS: theirs. ARGV: the partition that they should be of.
-- Returns for each its version in digits, '-1' for one without or of another partition, '' where there is none.
local out = {}
for i, key in ipairs(KEYS) do
  local old = redis.pcall('GET', key)
  if not old then
    out[i] = ''
  else
    local read, document = pcall(cjson.decode, old)
    local version = read and type(document) == 'table' and tonumber(document.version) or -1
    if version >= 0 and (tonumber(document.partition) or tonumber(ARGV[1])) ~= tonumber(ARGV[1]) then
      version = -1
    end
    out[i] = (version >= 0 and version <= 2 ^ 53) and string.format('%.0f', version) or '-1'
  end
end
return out
