-- Presence: who is there, as others were told. The rules are those of `chat_domain::Attendance`.
--
-- A user is JSON in the hash USERS: `devices`, `chosen`, what others were `told` and when
-- (`told_at`), `left_at`. LOOK has when to look at a user again, CHANGES is the log of what is to be
-- told. HELD, a key per gateway, has the users there.

local USERS, LOOK, CHANGES, HELD, MARK = 9, 10, 11, 12, 12

-- Milliseconds.
local GRACE, PACE, MEMORY = 8000, 2000, 7 * 24 * 3600 * 1000

local function attendance(K, user)
  local json = redis.call('HGET', K[USERS], user)
  return json and cjson.decode(json) or { devices = {} }
end

local function wanted(K, user, u, t)
  if #u.devices == 0 then
    if u.left_at and t < u.left_at + GRACE then return u.told or 'offline' end
    return 'offline'
  end
  local call = latest(K, user)
  return call and call.state == 'connected' and 'busy' or u.chosen or 'available'
end

-- When there is something to be done about a user; nothing as long as it stays.
local function next_look(u, want)
  if u.told ~= want then return u.told_at + PACE end
  if #u.devices > 0 then return nil end
  if u.told ~= 'offline' then return u.left_at + GRACE end
  return math.max(u.left_at or 0, u.told_at) + MEMORY
end

-- Tells the change of a user if it is due, and keeps the user.
local function settle(K, app, user, u, t)
  u.told, u.told_at = u.told or 'offline', u.told_at or 0
  local want = wanted(K, user, u, t)
  local early = u.told_at <= t and t < u.told_at + PACE
  if want ~= u.told and not early then
    local was = u.told
    u.told, u.told_at = want, math.max(t, u.told_at + 1)
    redis.call('XADD', K[CHANGES], 'MAXLEN', '~', MAX_LOG, '*', 'app', app, 'user', user,
      'was', was, 'now', want, 'at', u.told_at)
  end
  local at = next_look(u, want)
  if at and at <= t then
    redis.call('HDEL', K[USERS], user)
    redis.call('ZREM', K[LOOK], user)
    return
  end
  redis.call('HSET', K[USERS], user, cjson.encode(u))
  if at then redis.call('ZADD', K[LOOK], at, user) else redis.call('ZREM', K[LOOK], user) end
end

local function gateway_of(device)
  return string.match(device, '^%x+')
end

local function at_gateway(gateway)
  return function(device) return gateway_of(device) == gateway end
end

-- Splits the devices of a user.
local function partition(u, matches)
  local yes, no = {}, {}
  for _, device in ipairs(u.devices) do table.insert(matches(device) and yes or no, device) end
  return yes, no
end

-- Takes devices away from a user.
local function leave(u, matches, t)
  local _, left = partition(u, matches)
  u.devices = left
  if #left > 0 then return end
  u.left_at = u.left_at or t
  -- It was here, so others believe that it is.
  if not u.told then u.told, u.told_at = u.chosen or 'available', t end
end

-- `again`: the device was here before, so others were told already.
local function come(K, A, t)
  local app, user, device, again, lease = unpack(A)
  local u = attendance(K, user)
  local _, others = partition(u, function(other) return other == device end)
  table.insert(others, device)
  u.devices, u.left_at = others, nil
  if not u.told and again == '1' then u.told, u.told_at = wanted(K, user, u, t), t end
  watch(K, device, tonumber(lease), t)
  redis.call('SADD', K[HELD], user)
  settle(K, app, user, u, t)
  return 1
end

local function gone(K, A, t)
  local app, user, device = unpack(A)
  local u = attendance(K, user)
  leave(u, function(other) return other == device end, t)
  if #partition(u, at_gateway(gateway_of(device))) == 0 then redis.call('SREM', K[HELD], user) end
  settle(K, app, user, u, t)
  return 1
end

local function choose(K, A, t)
  local app, user, status = unpack(A)
  local u = attendance(K, user)
  u.chosen = status ~= 'available' and status or nil
  if #u.devices == 0 then u.left_at = u.left_at or t end
  settle(K, app, user, u, t)
  return 1
end

-- Looks again at users who may have changed.
local function look(K, app, users, t)
  for _, user in ipairs(users) do
    if redis.call('HEXISTS', K[USERS], user) == 1 then
      settle(K, app, user, attendance(K, user), t)
    else
      redis.call('ZREM', K[LOOK], user)
    end
  end
  return #users
end

-- Takes away the devices of a gateway that fell silent, of at most so many users; returns how many
-- users are left. A gateway that speaks again has to announce its devices again.
local function clear(K, A, t)
  local app, gateway, limit = unpack(A)
  local until_ = redis.call('ZSCORE', K[LEASES], gateway)
  if until_ and t < tonumber(until_) then return 0 end
  redis.call('SREM', K[KNOWN], gateway)
  for _, user in ipairs(redis.call('SRANDMEMBER', K[HELD], tonumber(limit))) do
    local u = attendance(K, user)
    leave(u, at_gateway(gateway), t)
    redis.call('SREM', K[HELD], user)
    settle(K, app, user, u, t)
  end
  return redis.call('SCARD', K[HELD])
end

-- Whether a user has a device at a gateway that lives.
local function is_here(K, user, t)
  for _, device in ipairs(attendance(K, user).devices) do
    local until_ = redis.call('ZSCORE', K[LEASES], gateway_of(device))
    if until_ and t < tonumber(until_) then return true end
  end
  return false
end

-- Decides once whether a call is pushed: its callee has no device.
local function push(K, A, t)
  local user, ttl = unpack(A)
  if redis.call('EXISTS', K[MARK]) == 1 then return 1 end
  if is_here(K, user, t) then return 0 end
  redis.call('SET', K[MARK], 1, 'PX', tonumber(ttl))
  return 1
end

local function register_presence(name, handler)
  redis.register_function('presence_' .. name, function(K, A) return handler(K, A, now()) end)
end

register_presence('come', come)
register_presence('gone', gone)
register_presence('choose', choose)
register_presence('clear', clear)
register_presence('push', push)
register_presence('look', function(K, A, t)
  return look(K, table.remove(A, 1), A, t)
end)
register_presence('due', function(K, A, t)
  local due = redis.call('ZRANGEBYSCORE', K[LOOK], '-inf', t, 'LIMIT', 0, tonumber(A[2]))
  return look(K, A[1], due, t)
end)
register_presence('absent', function(K, A, t)
  local absent = {}
  for i, user in ipairs(A) do
    if not is_here(K, user, t) then table.insert(absent, i) end
  end
  return absent
end)
register_presence('told', function(K, A)
  local told = {}
  for i, user in ipairs(A) do told[i] = attendance(K, user).told or 'offline' end
  return told
end)
