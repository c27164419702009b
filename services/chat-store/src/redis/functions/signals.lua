-- Signals: whether one may pass, and handing over what waited.

local function signal(K, A, t)
  local user, peer, device, kind, payload = unpack(A, 1, 5)
  local early, max, id = tonumber(A[6]), tonumber(A[7]), A[8]
  local call = latest(K, user)
  local late = overdue(call, t)
  if late then return late end
  local side = call and side_of(call, user)
  local with_peer = call and call[other(side)].user == peer
  local parked = slot(K[MINE], device)
  -- What names a call is for that one alone.
  if id ~= '' and not (is_live(call) and call.id == id) then return { 'dropped' } end

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
