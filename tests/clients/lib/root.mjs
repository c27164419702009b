// People of the dialects of the root namespace, and stock clients of theirs.
import { randomUUID } from 'node:crypto';

import axios from 'axios';

import { connect } from './client.mjs';
import * as apps from './environment.mjs';
import { put } from './directory.mjs';
import { DEADLINE_MS } from './rest.mjs';
import { seconds, sign } from './token.mjs';

/** Enters a user into the directory of an app: `{id, role, name, email, token, app}`. */
export async function newPerson(app, role) {
  const email = `${role}-${randomUUID()}@example.org`;
  const id = app.dialect === 'clinic' ? email : `${role}_${randomUUID()}`;
  const user = { id, role, name: `A ${role}`, email, app };
  await put(app, `users/${id}`, { role, name: user.name, email });
  return { ...user, token: tokenOf(user) };
}

/** Returns a token of the user's app, in the claims that its issuer uses. */
export function tokenOf({ id, role, name, email, app }, { ttl = 3600 } = {}) {
  const claims = {
    care: { userId: id },
    clinic: {},
    booking: { user: { id } },
  }[app.dialect];
  return sign({ ...claims, email, name, role, exp: seconds() + ttl }, { secret: app.secret });
}

/** A doctor and a patient who are associated. */
export async function newAssociation() {
  const doctor = await newPerson(apps.care, 'doctor');
  const patient = await newPerson(apps.care, 'patient');
  await put(apps.care, `associations/${doctor.id}/${patient.id}`, {});
  return { doctor, patient };
}

/** A doctor and an admin of a clinic. */
export async function newStaff() {
  const doctor = await newPerson(apps.clinic, 'doctor');
  const admin = await newPerson(apps.clinic, 'admin');
  return { doctor, admin };
}

/** A client with a booking at a business, and the owner of that; each new unless given. */
export async function newBooking(people = {}) {
  const owner = people.owner ?? (await newPerson(apps.booking, 'business'));
  const client = people.client ?? (await newPerson(apps.booking, 'client'));
  const businessId = people.businessId ?? randomUUID();
  await put(apps.booking, `businesses/${businessId}`, { ownerId: owner.id, name: 'A studio' });
  const bookingId = randomUUID().replaceAll('-', '').slice(0, 24);
  await put(apps.booking, `bookings/${bookingId}`, { businessId, clientId: client.id });
  return { owner, client, businessId, bookingId };
}

/** Connects `user` to the root namespace; the connection ends with the test. */
export const connectRoot = (t, user, options) => connect(t, user, { namespace: '/', ...options });

/** Asserts nothing came that is not expected, by something that comes later: an ack. */
export const settled = (client) => client.ask('no_such_event');

/** The REST of the root namespace's dialects, as `user`. */
export const restOf = ({ token }) =>
  axios.create({
    baseURL: apps.publicUrl,
    headers: { Authorization: `Bearer ${token}` },
    timeout: DEADLINE_MS,
    validateStatus: () => true,
  });
