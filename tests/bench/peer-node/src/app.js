// Three routes as a minimal Express application has them: a health check, a user's present state, a month of workouts. It checks the
// same access token and makes the same reads as ours, and leaves out the rest: no problem documents, no limits, no sealed fields, no
// access log. So it does less than what it is compared with.
const express = require('express');
const jwt = require('jsonwebtoken');
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');
const { DynamoDBDocumentClient, GetCommand, QueryCommand } = require('@aws-sdk/lib-dynamodb');

const table = process.env.TABLE_NAME;
const tokenKey = Buffer.from(process.env.TOKEN_KEY ?? '', 'base64');
const client = DynamoDBDocumentClient.from(new DynamoDBClient({}));

const app = express();
app.disable('x-powered-by');
app.use(express.json());

app.get('/health', async (_, response) => {
  await client.send(new GetCommand({ TableName: table, Key: { pk: 'SLOTS', sk: '0000' }, ConsistentRead: true }));
  response.json({ status: 'ok' });
});

function signedIn(request, response, next) {
  try {
    const token = (request.get('authorization') ?? '').replace(/^Bearer /, '');
    request.user = jwt.verify(token, tokenKey, { algorithms: ['HS256'], issuer: 'ivy', audience: 'ivy-user' }).sub;
    next();
  } catch {
    response.status(401).json({ title: 'Sign in' });
  }
}

app.get('/api/users/:id', signedIn, async (request, response) => {
  if (![request.user, 'me'].includes(request.params.id)) return response.status(404).json({ title: 'There is no such user' });
  const found = await client.send(new QueryCommand({
    TableName: table,
    KeyConditionExpression: 'pk = :pk and begins_with(sk, :me)',
    ExpressionAttributeValues: { ':pk': `USER#${request.user}`, ':me': 'ME#' },
    ConsistentRead: true,
  }));
  const part = (name) => found.Items.find((item) => item.sk === `ME#${name}`);
  const profile = part('PROFILE');
  if (!profile) return response.status(404).json({ title: 'There is no such user' });
  const { pk, sk, gsi2pk, gsi2sk, entity, ...user } = profile;
  response.json({ ...user, streak: part('PROGRESS')?.streak, wallet: part('WALLET') });
});

app.get('/api/users/me/workouts', signedIn, async (request, response) => {
  const { from = '0000', to = '9999', status, limit = '20' } = request.query;
  const filter = status && { FilterExpression: '#status = :status', ExpressionAttributeNames: { '#status': 'status' } };
  const found = await client.send(new QueryCommand({
    TableName: table,
    KeyConditionExpression: 'pk = :pk and sk between :from and :to',
    ExpressionAttributeValues: {
      ':pk': `USER#${request.user}`, ':from': `WORKOUT#${from}`, ':to': `WORKOUT#${to}~`, ...(status && { ':status': status }),
    },
    ...filter,
    ScanIndexForward: false,
    Limit: Number(limit),
    ConsistentRead: true,
  }));
  response.json({ items: found.Items.map(({ pk, sk, entity, ...workout }) => workout), next_cursor: null });
});

module.exports = app;
