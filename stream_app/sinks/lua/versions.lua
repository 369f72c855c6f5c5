-- Versions of documents. KEYS: theirs. Returns for each its version in digits, '-1' for one without, '' where there is none.
local out = {}
for i, key in ipairs(KEYS) do
  local old = redis.pcall('GET', key)
  if not old then
    out[i] = ''
  else
    local read, document = pcall(cjson.decode, old)
    local version = read and type(document) == 'table' and tonumber(document.version) or -1
    out[i] = (version >= 0 and version <= 2 ^ 53) and string.format('%.0f', version) or '-1'
  end
end
return out
