-- Ending what is due, bringing back what was lost, and the list of all functions.

-- Ends a call that is due, forgets one that was over long enough.
local function expire(K, A, t)
  local app, id = unpack(A, 1, 2)
  local call = load(K, id)
  if not call then
    redis.call('ZREM', K[DUE], A[3])
    return { 'nothing' }
  end
  if call.state == 'over' then
    if call.ended_at + KEEP > t then return { 'nothing' } end
    for _, leg in ipairs({ call.caller, call.callee }) do
      if redis.call('HGET', K[LATEST], leg.user) == id then redis.call('HDEL', K[LATEST], leg.user) end
    end
    redis.call('HDEL', K[CALLS], id)
    redis.call('ZREM', K[DUE], member(call))
    return { 'forgotten' }
  end
  local at, change, detail = deadline(call)
  if not at or at > t then return { 'nothing' } end
  finish(K, app, call, change, detail, t)
  return { 'ok' }
end

-- Ends a call that was lost and whose user is in another one: no later than that one began.
local function supersede(K, app, call, by, t)
  local ended_at = math.max(call.answered_at or call.started_at, math.min(t, by.started_at))
  local at, change, detail = deadline(call)
  if not at or ended_at < at then
    at, change, detail = ended_at, call.state == 'ringing' and 'cancelled' or 'ended', ''
    if change == 'ended' then detail = 'caller' end
  end
  call.state, call.outcome, call.ended_at = 'over', change, at
  advance(call)
  commit(K, app, call, change, detail, t)
  return { 'ok' }
end

-- Puts a call back that was lost, unless it is there. Newer ones come first: they win. Its devices
-- have a lease to be announced, as after that they count as gone. Signals pass in places that nobody
-- has seen. The end of a call is logged again: who was told of it is lost.
local function restore(K, A, t)
  local app, json, change, detail, lease = unpack(A)
  local call = cjson.decode(json)
  if redis.call('HEXISTS', K[CALLS], call.id) == 1 then return { 'nothing' } end
  local legs = { call.caller, call.callee }
  if not is_live(call) then
    commit(K, app, call, change, detail, t)
    return { 'ok' }
  end
  call.change, call.detail, call.leap = change, detail, LEAP
  for _, leg in ipairs(legs) do
    local by = latest(K, leg.user)
    if is_live(by) then return supersede(K, app, call, by, t) end
  end
  for _, leg in ipairs(legs) do
    redis.call('HSET', K[LATEST], leg.user, call.id)
    leg.n_signals = t
    if leg.device then
      leg.unseen_from = t + tonumber(lease)
      watch(K, leg.device, tonumber(lease), t)
    end
  end
  save(K, call)
  return { 'ok' }
end

local function register(name, handler)
  redis.register_function('calls_' .. name, function(K, A) return handler(K, A, now()) end)
end

-- After a loss of data nothing may be decided before what was lost is back.
local function register_guarded(name, handler)
  register(name, function(K, A, t)
    if redis.call('EXISTS', K[READY]) == 0 then
      return redis.error_reply('CALLSLOST the calls are not loaded')
    end
    return handler(K, A, t)
  end)
end

-- What a device asks for takes effect once, however often and late it is repeated. Devices number
-- what they ask for, from 1; 0 is what nobody numbered.
local function register_asked(name, handler)
  register_guarded(name, function(K, A, t)
    if not K[ASKED] then return handler(K, A, t) end
    local n, device = tonumber(table.remove(A)), table.remove(A)
    local last = last_asked(K, device)
    if n > 0 and n < last.n then return { 'late' } end
    if n > 0 and n == last.n then return last.reply end
    local reply = handler(K, A, t)
    if n > 0 and reply[1] ~= 'due' then remember(K, device, n, reply) end
    return reply
  end)
end

register_asked('initiate', initiate)
register_asked('accept', accept)
register_asked('reject', reject)
register_asked('hang_up', hang_up)
register_asked('signal', signal)
register_guarded('gone', gone)
register_guarded('back', back)
register_guarded('waiting', waiting)
register_guarded('handed', handed)
register_guarded('expire', expire)
register_guarded('due', function(K, A, t)
  return redis.call('ZRANGEBYSCORE', K[DUE], '-inf', t, 'LIMIT', 0, tonumber(A[1]))
end)
register_guarded('find', function(K, A)
  return { redis.call('HGET', K[CALLS], A[1]) }
end)

register('restore', restore)
register('ready', function(K) return redis.call('SET', K[READY], 1) end)
-- Returns whether the devices of the gateway are not known: it is new, or they were lost.
register('alive', function(K, A, t)
  redis.call('ZADD', K[LEASES], t + tonumber(A[2]), A[1])
  return redis.call('SADD', K[KNOWN], A[1])
end)
-- If nobody looked for a while, gateways could not be heard: all of them have another chance.
register('lapsed', function(K, A, t)
  local limit, lease, patience = unpack(A)
  local looked_at = redis.call('GETSET', K[LOOKED], t)
  if looked_at and t <= tonumber(looked_at) + tonumber(patience) then
    return redis.call('ZRANGEBYSCORE', K[LEASES], '-inf', t, 'WITHSCORES', 'LIMIT', 0, tonumber(limit))
  end
  for _, gateway in ipairs(redis.call('ZRANGEBYSCORE', K[LEASES], '-inf', t)) do
    redis.call('ZADD', K[LEASES], t + tonumber(lease), gateway)
  end
  return {}
end)
register('bury', function(K, A, t)
  local until_ = redis.call('ZSCORE', K[LEASES], A[1])
  if until_ and tonumber(until_) <= t then return redis.call('ZREM', K[LEASES], A[1]) end
  return 0
end)
register('lag', function(K, _, t)
  local oldest = redis.call('XRANGE', K[LOG], '-', '+', 'COUNT', 1)[1]
  return oldest and math.max(0, t - tonumber(string.match(oldest[1], '^%d+'))) or 0
end)
redis.register_function({
  function_name = 'calls_version',
  callback = function() return VERSION end,
  flags = { 'no-writes' },
})
