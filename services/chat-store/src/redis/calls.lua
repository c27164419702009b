#!lua name=chatcalls

-- The state of calls. Every function is atomic, takes its time from the server, and appends each
-- change to the log in the same step. The rules are those of `chat_domain::call::Switchboard`.
--
-- A call is JSON in the hash CALLS; LATEST has the call that each user is or was last in; DUE has
-- when to look at a call again: to end it, or to forget one that is over. All keys of a function
-- are declared and share one slot. So a function never ends a call of somebody whose keys it was not
-- given: it answers `due`, the caller runs `calls_expire` with that call's keys, and asks again.

local VERSION = 1

-- Keys, in this order everywhere; those at the end are left out where nothing needs them.
local READY, CALLS, LATEST, DUE, LOG, LEASES, MINE, THEIRS = 1, 2, 3, 4, 5, 6, 7, 8

-- Milliseconds: how long a call that is over is remembered, and what is parked outlives its use.
local KEEP, LINGER = 120000, 60000
local MAX_LOG = 100000
local SEP = '\31'

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function load(K, id)
  local json = id and redis.call('HGET', K[CALLS], id)
  return json and cjson.decode(json) or nil
end

local function latest(K, user)
  return load(K, redis.call('HGET', K[LATEST], user))
end

local function is_live(call)
  return call and call.state ~= 'over'
end

local function side_of(call, user)
  if call.caller.user == user then return 'caller' end
  if call.callee.user == user then return 'callee' end
end

local function other(side)
  return side == 'caller' and 'callee' or 'caller'
end

-- When a call ends by itself, how, and by which side.
local function deadline(call)
  local function away(leg) return leg.gone_since and leg.gone_since + call.grace or math.huge end
  local caller, callee = away(call.caller), away(call.callee)
  if call.state == 'ringing' then
    if caller < call.rings_until then return caller, 'cancelled', '' end
    return call.rings_until, 'no_answer', ''
  end
  if call.state == 'connected' and callee < caller then return callee, 'ended', 'callee' end
  if call.state == 'connected' and caller < math.huge then return caller, 'ended', 'caller' end
  return nil
end

local function member(call)
  return call.id .. SEP .. call.caller.user .. SEP .. call.callee.user
end

local function save(K, call)
  redis.call('HSET', K[CALLS], call.id, cjson.encode(call))
  local at = call.state == 'over' and call.ended_at + KEEP or deadline(call)
  if at then
    redis.call('ZADD', K[DUE], at, member(call))
  else
    redis.call('ZREM', K[DUE], member(call))
  end
end

-- Saves a change and logs it.
local function commit(K, app, call, change, detail, t)
  save(K, call)
  redis.call('XADD', K[LOG], 'MAXLEN', '~', MAX_LOG, '*', 'app', app, 'change', change,
    'detail', detail, 'at', t, 'call', cjson.encode(call))
end

-- The answer of a function that met a call which has to end first.
local function overdue(call, t)
  local at = call and deadline(call)
  if at and at <= t then return { 'due', member(call) } end
end

local function finish(K, app, call, change, detail, t)
  call.state, call.outcome, call.ended_at = 'over', change, t
  call.version = call.version + 1
  redis.call('DEL', K[MINE], K[THEIRS])
  commit(K, app, call, change, detail, t)
end

-- A device in a call is watched through the lease of its gateway.
local function watch(K, device, lease, t)
  redis.call('ZADD', K[LEASES], 'NX', t + lease, string.match(device, '^%x+'))
end

-- The call that a client speaks of and the side it is on: by its id, else the latest.
local function locate(K, user, peer, id)
  local call = id ~= '' and load(K, id) or id == '' and latest(K, user) or nil
  local side = call and side_of(call, user)
  if side and call[other(side)].user == peer then return call, side end
end

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

local function connect(K, app, call, device, lease, change, t)
  call.state, call.answered_at = 'connected', t
  call.version = call.version + 1
  call.callee.device = device
  watch(K, device, lease, t)
  keep_only(K[THEIRS], call.caller.device, call.callee.user, 0)
  if change == 'accepted' then
    keep_only(K[MINE], device, call.caller.user, call.started_at)
  else
    redis.call('DEL', K[MINE])
  end
  commit(K, app, call, change, '', t)
end

local function initiate(K, A, t)
  local app, id, from, to, conversation, kind, device = unpack(A, 1, 7)
  local ring, grace, early, lease = unpack({ tonumber(A[8]), tonumber(A[9]), tonumber(A[10]), tonumber(A[11]) })
  local mine, theirs = latest(K, from), latest(K, to)
  local late = overdue(mine, t) or overdue(theirs, t)
  if late then return late end

  local function leg(user, its) return { user = user, device = its, n_signals = 0 } end
  local new = {
    id = id, conversation = conversation, kind = kind, version = 1,
    caller = leg(from, device), callee = leg(to),
    started_at = t, rings_until = t + ring, grace = grace, awaits_answer = false,
  }
  local function busy()
    drop(K[MINE], device)
    new.state, new.outcome, new.ended_at = 'over', 'busy', t
    commit(K, app, new, 'busy', '', t)
    return { 'busy', id }
  end

  if not is_live(mine) and not is_live(theirs) then
    forget_stale(K[MINE], device, to, early, ring + LINGER, t)
    watch(K, device, lease, t)
    redis.call('HSET', K[LATEST], from, id, to, id)
    new.state = 'ringing'
    commit(K, app, new, 'ringing', '', t)
    return { 'new', id }
  end
  local side = is_live(mine) and side_of(mine, to) and side_of(mine, from)
  if not side then return busy() end

  -- The two are in a call with each other.
  local was = mine[side].device
  if mine.state == 'connected' then
    if was ~= device then return busy() end
    return { 'already', mine.id }
  end
  if side == 'callee' then
    mine.awaits_answer = true
    connect(K, app, mine, device, lease, 'merged', t)
    return { 'merged', mine.id }
  end
  mine.caller.gone_since = nil
  if was == device then
    save(K, mine)
  else
    mine.caller.device = device
    mine.version = mine.version + 1
    watch(K, device, lease, t)
    commit(K, app, mine, 'moved', was, t)
    forget_stale(K[MINE], device, to, early, ring + LINGER, t)
  end
  return { 'already', mine.id }
end

local function accept(K, A, t)
  local app, user, peer, id, device, lease = unpack(A)
  local late = overdue(latest(K, user), t)
  if late then return late end
  local call, side = locate(K, user, peer, id)
  if not call then return { 'unknown' } end
  if side == 'caller' then return { 'forbidden' } end
  if call.state == 'connected' and call.callee.device == device then return { 'ok', call.id } end
  if call.state ~= 'ringing' then return { call.state } end
  connect(K, app, call, device, tonumber(lease), 'accepted', t)
  return { 'ok', call.id }
end

local function reject(K, A, t)
  local app, user, peer, id, device, reason = unpack(A)
  local late = overdue(latest(K, user), t)
  if late then return late end
  local call, side = locate(K, user, peer, id)
  if not call then return { 'unknown' } end
  if side == 'caller' then return { 'forbidden' } end
  if call.state ~= 'ringing' then return { call.state } end
  if reason ~= '' then call.reason = reason end
  finish(K, app, call, 'rejected', device, t)
  return { 'ok', call.id }
end

local function hang_up(K, A, t)
  local app, user, peer, id, device = unpack(A)
  local late = overdue(latest(K, user), t)
  if late then return late end
  local call, side = locate(K, user, peer, id)
  if not call then return { 'unknown' } end
  if call.state == 'ringing' then
    if side == 'caller' then
      finish(K, app, call, 'cancelled', '', t)
    else
      finish(K, app, call, 'rejected', device, t)
    end
    return { 'ok', call.id }
  end
  if call.state == 'connected' and (call[side].device == device or call[side].gone_since) then
    finish(K, app, call, 'ended', side, t)
    return { 'ok', call.id }
  end
  return { 'nothing' }
end

local function gone(K, A, t)
  local user, device = unpack(A)
  local call = latest(K, user)
  local late = overdue(call, t)
  if late then return late end
  local leg = is_live(call) and call[side_of(call, user)]
  if leg and leg.device == device then
    leg.gone_since = leg.gone_since or t
    save(K, call)
  else
    drop(K[MINE], device)
  end
  return { 'ok' }
end

local function back(K, A, t)
  local user, device, replaces, lease = unpack(A)
  local call = latest(K, user)
  local late = overdue(call, t)
  if late then return late end
  if not call then return { 'nothing' } end
  local side = side_of(call, user)
  local leg = call[side]
  local was = leg.device
  if was and (leg.gone_since or was == replaces) then
    local since = leg.gone_since or 0
    leg.gone_since, leg.device = nil, device
    if is_live(call) then watch(K, device, tonumber(lease), t) end
    save(K, call)
    if was ~= device then
      for _, field in ipairs((fields_of(K[MINE], was))) do
        local moved = device .. string.sub(field, #was + 1)
        redis.call('HSET', K[MINE], moved, redis.call('HGET', K[MINE], field))
        redis.call('HDEL', K[MINE], field)
      end
    end
    return { 'taken', tostring(since), cjson.encode(call) }
  end
  if call.state == 'ringing' and side == 'callee' then
    return { 'rings', '', cjson.encode(call) }
  end
  return { 'nothing' }
end

local function signal(K, A, t)
  local user, peer, device, kind, payload = unpack(A, 1, 5)
  local early, max = tonumber(A[6]), tonumber(A[7])
  local call = latest(K, user)
  local late = overdue(call, t)
  if late then return late end
  local side = call and side_of(call, user)
  local with_peer = call and call[other(side)].user == peer
  local parked = slot(K[MINE], device)

  if not is_live(call) then
    -- What follows a call belongs to that, unless an offer begins something new.
    local fresh = t - early + 1
    local offered = parked.get('to') == peer and parked.number('at') >= fresh and parked.get('offer')
    if with_peer and kind ~= 'offer' and not offered then return { 'dropped' } end
    return park(K[MINE], device, peer, kind, payload, fresh, LINGER, max, t)
  end
  if not with_peer then return { 'dropped' } end
  if call.state == 'ringing' then
    -- What the callee wanted to tell before it was called was meant for another call.
    local since = side == 'callee' and call.started_at or 0
    local ttl = call.rings_until - t + LINGER
    return park(K[MINE], device, peer, kind, payload, since, ttl, max, t)
  end
  if call[side].device ~= device then return { 'dropped' } end
  if side == 'callee' and call.awaits_answer then
    if kind == 'offer' then return { 'dropped' } end
    if kind == 'answer' then
      call.awaits_answer = false
      save(K, call)
    end
  end
  if parked.exists() then return queue(parked, kind, payload, max) end
  call[side].n_signals = call[side].n_signals + 1
  save(K, call)
  return { 'relay', call.id, peer, call[other(side)].device, tostring(call[side].n_signals) }
end

-- What one side has waiting, in the order in which it passes. MINE is that side's.
local function waiting(K, A)
  local call, side = load(K, A[1]), A[2]
  if not call or call.state ~= 'connected' then return { 'nothing' } end
  local parked = slot(K[MINE], call[side].device)
  if not parked.exists() then return { 'nothing' } end
  local reply = { 'waiting', call[other(side)].device, tostring(call[side].n_signals + 1) }
  for _, field in ipairs({ 'offer', 'answer' }) do
    local description = parked.get(field)
    if description then table.insert(reply, string.sub(field, 1, 1) .. description) end
  end
  for i = parked.number('head') + 1, parked.number('tail') do
    table.insert(reply, parked.get(i))
  end
  return reply
end

local function handed(K, A)
  local call = load(K, A[1])
  local side = call and side_of(call, A[2])
  local first, count = tonumber(A[3]), tonumber(A[4])
  if not call or call.state ~= 'connected' or call[side].n_signals + 1 ~= first then
    return { 'nothing' }
  end
  local device = call[side].device
  local parked = slot(K[MINE], device)
  if not parked.exists() then return { 'nothing' } end
  call[side].n_signals = call[side].n_signals + count
  save(K, call)
  local head, tail = parked.number('head'), parked.number('tail')
  for _ = 1, count do
    if parked.del('offer') == 0 and parked.del('answer') == 0 then
      head = head + 1
      parked.del(head)
    end
  end
  parked.set('head', head)
  if head >= tail and not parked.get('offer') and not parked.get('answer') then
    drop(K[MINE], device)
  end
  return { 'ok' }
end

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

-- Puts a call back that was lost, unless it is there; one whose user is in another call by now ends.
local function restore(K, A, t)
  local app, json, lease = unpack(A)
  local call = cjson.decode(json)
  if redis.call('HEXISTS', K[CALLS], call.id) == 1 then return { 'nothing' } end
  for _, leg in ipairs({ call.caller, call.callee }) do
    if is_live(latest(K, leg.user)) then
      local change = call.state == 'ringing' and 'cancelled' or 'ended'
      finish(K, app, call, change, change == 'ended' and 'caller' or '', t)
      return { 'ok' }
    end
  end
  for _, leg in ipairs({ call.caller, call.callee }) do
    redis.call('HSET', K[LATEST], leg.user, call.id)
    if leg.device then watch(K, leg.device, tonumber(lease), t) end
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

register_guarded('initiate', initiate)
register_guarded('accept', accept)
register_guarded('reject', reject)
register_guarded('hang_up', hang_up)
register_guarded('gone', gone)
register_guarded('back', back)
register_guarded('signal', signal)
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
register('alive', function(K, A, t)
  return redis.call('ZADD', K[LEASES], t + tonumber(A[2]), A[1])
end)
register('lapsed', function(K, A, t)
  return redis.call('ZRANGEBYSCORE', K[LEASES], '-inf', t, 'LIMIT', 0, tonumber(A[1]))
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
