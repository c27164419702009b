-- Parked signals: in the hash of their sender, each device's fields begin with the device.
-- `to`, `at` (since when), `offer`, `answer`, and a queue of which `head` were taken, to `tail`.

local function slot(key, device)
  local function name(field) return device .. SEP .. field end
  return {
    get = function(field) return redis.call('HGET', key, name(field)) end,
    number = function(field) return tonumber(redis.call('HGET', key, name(field)) or 0) end,
    set = function(field, value) redis.call('HSET', key, name(field), value) end,
    del = function(field) return redis.call('HDEL', key, name(field)) end,
    exists = function() return redis.call('HEXISTS', key, name('to')) == 1 end,
  }
end

local function fields_of(key, device)
  local mine, others = {}, {}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local is_mine = string.sub(field, 1, #device + 1) == device .. SEP
    table.insert(is_mine and mine or others, field)
  end
  return mine, others
end

local function drop(key, device)
  local mine = fields_of(key, device)
  if #mine > 0 then redis.call('HDEL', key, unpack(mine)) end
end

-- Leaves what one device has for one user since a time.
local function keep_only(key, device, to, since)
  local parked = slot(key, device)
  if parked.get('to') ~= to or parked.number('at') < since then
    redis.call('DEL', key)
    return
  end
  local _, others = fields_of(key, device)
  if #others > 0 then redis.call('HDEL', key, unpack(others)) end
end

local function keep_alive(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end

local function queue(parked, kind, payload, max)
  local tail = parked.number('tail')
  if tail - parked.number('head') >= max then return { 'full' } end
  parked.set(tail + 1, string.sub(kind, 1, 1) .. payload)
  parked.set('tail', tail + 1)
  return { 'parked' }
end

-- Parks a signal behind those before it, unless they are for somebody else or older than `since`.
local function park(key, device, peer, kind, payload, since, ttl, max, t)
  local parked = slot(key, device)
  if parked.get('to') ~= peer or parked.number('at') < since then
    drop(key, device)
    parked.set('to', peer)
    parked.set('at', t)
  end
  keep_alive(key, ttl)
  if kind == 'candidate' then return queue(parked, kind, payload, max) end
  parked.set(kind, payload)
  return { 'parked' }
end

-- Keeps what a device parked for its call a moment ago, and nothing else.
local function forget_stale(key, device, callee, early, ttl, t)
  local parked = slot(key, device)
  if parked.get('to') ~= callee or parked.number('at') <= t - early then
    drop(key, device)
  else
    keep_alive(key, ttl)
  end
end
