SELECT count() FROM system.settings WHERE name = 'async_insert'
