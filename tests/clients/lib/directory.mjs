// Fresh people, bookings and conversations for each test, told to the system as other services do.
import { randomUUID } from 'node:crypto';

import { app as consult, serviceToken, stores } from './environment.mjs';
import { as } from './rest.mjs';
import { tokenOf } from './token.mjs';

// Tests of faults kill the first store.
const store = stores.at(-1);

export async function put(app, path, body) {
  const url = `${store.internal_url}/internal/v1/apps/${app.name}/${path}`;
  const response = await fetch(url, {
    method: 'PUT',
    headers: { authorization: `Bearer ${serviceToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) {
    throw new Error(`PUT ${url}: ${response.status} ${await response.text()}`);
  }
}

/** Enters a user into the directory: `{id, role, name, email, token}`. */
export async function newUser(role, app = consult) {
  const id = randomUUID();
  const user = { id, role, name: `A ${role}`, email: `${id}@example.org` };
  await put(app, `users/${id}`, { role, name: user.name, email: user.email });
  return { ...user, token: tokenOf(user, { secret: app.secret }) };
}

/** Two people, new unless given, and a booking: `{consultant, patient, bookingId, ids}`. */
export async function newConsultation({ app = consult, ...people } = {}) {
  const consultant = people.consultant ?? (await newUser('consultant', app));
  const patient = people.patient ?? (await newUser('patient', app));
  const bookingId = randomUUID();
  const ids = { consultantId: consultant.id, patientId: patient.id, bookingId };
  await put(app, `bookings/${bookingId}`, { consultantId: consultant.id, patientId: patient.id });
  return { consultant, patient, bookingId, ids };
}

/** A consultation whose conversation exists: also `conversation` and `conversationId`. */
export async function newConversation(people) {
  const consultation = await newConsultation(people);
  const { status, data } = await as(consultation.patient).post(
    '/chat/conversations',
    consultation.ids,
  );
  if (status !== 201) {
    throw new Error(`POST /chat/conversations: ${status} ${JSON.stringify(data)}`);
  }
  return { ...consultation, conversation: data, conversationId: data.id };
}
