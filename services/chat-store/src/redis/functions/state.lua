#!lua name=chatcalls

-- The state of calls. Every function is atomic, takes its time from the server, and appends each
-- change to the log in the same step. The rules are those of `chat_domain::call::Switchboard`.
--
-- A call is JSON in the hash CALLS; LATEST has the call that each user is or was last in; DUE has
-- when to look at a call again: to end it, or to forget one that is over. All keys of a function
-- are declared and share one slot. So a function never ends a call of somebody whose keys it was not
-- given: it answers `due`, the caller runs `calls_expire` with that call's keys, and asks again.
--
-- The library is state, parked, changes, signals, upkeep and presence, one after the other.

local VERSION = 8

-- Keys, in this order everywhere; those at the end are left out where nothing needs them, and by the
-- release before: what it does not number it does not give the last one for.
local READY, CALLS, LATEST, DUE, LOG, LEASES, MINE, THEIRS, ASKED = 1, 2, 3, 4, 5, 6, 7, 8, 9
-- Where no call is changed, in the places of the last two: the gateways that announced their devices
-- since the last loss, and when gateways were looked after.
local KNOWN, LOOKED = 7, 8

-- Milliseconds: how long a call that is over is remembered, and what is parked outlives its use.
local KEEP, LINGER = 120000, 60000
-- How long those who are back may take to be announced, and a request may be under way: its device may
-- have come back before it was done.
local NOTICE, UNDER_WAY = 3000, 5000
local MAX_LOG = 100000
-- Devices of a user whose last request is remembered.
local MAX_ASKED = 64
-- By how much the next version of a call outranks what may have been decided before a loss.
local LEAP = 1000
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

-- Since when the device of a side is not there: it went, or nobody announced it after a loss.
local function away_since(leg)
  return leg.gone_since or leg.unseen_from
end

-- When a call ends by itself, how, and by which side.
local function deadline(call)
  local function away(leg)
    local since = away_since(leg)
    return since and since + call.grace or math.huge
  end
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

-- The version of a call that changes.
local function advance(call)
  call.version = call.version + (call.leap or 1)
  call.leap = nil
end

-- Saves a change and logs it.
local function commit(K, app, call, change, detail, t)
  call.change, call.detail = change, detail
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
  advance(call)
  redis.call('DEL', K[MINE], K[THEIRS])
  commit(K, app, call, change, detail, t)
end

-- Remembers what a device asked last, and the answer; after `GONE` it asks for nothing any more.
local GONE = 1e15

local function remember(K, device, n, reply)
  if redis.call('HLEN', K[ASKED]) >= MAX_ASKED then redis.call('DEL', K[ASKED]) end
  redis.call('HSET', K[ASKED], device, cjson.encode({ n = n, reply = reply }))
  redis.call('PEXPIRE', K[ASKED], LINGER)
end

local function last_asked(K, device)
  local json = redis.call('HGET', K[ASKED], device)
  return json and cjson.decode(json) or { n = 0 }
end

-- Since when a device of a side may be what became of another one: those that were there before were
-- there beside it.
local function since_when(call, side)
  return side == 'caller' and call.started_at or call.answered_at or math.huge
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
