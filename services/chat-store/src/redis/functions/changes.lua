-- What clients and gateways ask for: each function decides, changes and logs.

local function connect(K, app, call, device, lease, change, t)
  call.state, call.answered_at = 'connected', t
  advance(call)
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
    return { 'connected', mine.id }
  end
  if side == 'callee' then
    mine.awaits_answer = true
    connect(K, app, mine, device, lease, 'merged', t)
    return { 'merged', mine.id }
  end
  mine.caller.gone_since, mine.caller.heard_until, mine.caller.unseen_from = nil, nil, nil
  if was == device then
    save(K, mine)
  else
    mine.caller.device = device
    advance(mine)
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
  if call.outcome == 'rejected' then return { 'ok', call.id } end
  if call.state ~= 'ringing' then return { call.state } end
  if reason ~= '' then call.reason = reason end
  finish(K, app, call, 'rejected', device, t)
  return { 'ok', call.id }
end

local function hang_up(K, A, t)
  local app, user, peer, id, device, age = unpack(A)
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
  if call.state == 'connected' then
    local leg = call[side]
    if leg.device ~= device and not leg.gone_since then
      local came_at = t - (tonumber(age) or math.huge)
      if id == '' and came_at < since_when(call, side) then return { 'nothing' } end
      local left = leg.device
      leg.device = device
      advance(call)
      commit(K, app, call, 'moved', left, t)
    end
    finish(K, app, call, 'ended', side, t)
  end
  return { 'ok', call.id }
end

-- `heard_until`: nobody heard of it since; else its gateway says that it went, so long `ago`. Whoever
-- is back has had no time to be announced when that was late, and gets it.
local function gone(K, A, t)
  local user, device, heard_until, ago = unpack(A)
  local at = t - (tonumber(ago) or 0)
  if heard_until == '' then remember(K, device, GONE) end
  local call = latest(K, user)
  local late = overdue(call, t)
  if late then return late end
  local leg = is_live(call) and call[side_of(call, user)]
  if leg and leg.device == device then
    if not leg.gone_since then
      leg.gone_since = math.max(at, math.min(t, t - call.grace + NOTICE))
      leg.heard_until = tonumber(heard_until) or at
      leg.unseen_from = nil
      save(K, call)
    end
  else
    drop(K[MINE], device)
  end
  return { 'ok' }
end

local function back(K, A, t)
  local user, device, replaces, lease, age = unpack(A)
  local call = latest(K, user)
  local late = overdue(call, t)
  if late then return late end
  if not call then return { 'nothing' } end
  local side = side_of(call, user)
  local leg = call[side]
  local was = leg.device
  local came_later = since_when(call, side) <= t - (tonumber(age) or 0) + UNDER_WAY
  local is_away = came_later and away_since(leg) and away_since(leg) <= t
  if was and (is_away or was == replaces or was == device and leg.unseen_from) then
    local since = leg.heard_until or 0
    leg.gone_since, leg.heard_until, leg.unseen_from, leg.device = nil, nil, nil, device
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
