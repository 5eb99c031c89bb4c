// Lambda's loop around the application, in place of the managed runtime's, which is not to be had on its own: it asks for events,
// hands each to the handler, and posts the answer. It does less than the managed one, and starts sooner.
const http = require('node:http');
const serverless = require('serverless-http');

const handler = serverless(require('./app'));
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const request = http.request({ host, port, agent, method, path: `/2018-06-01/runtime/${path}`, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

(async () => {
  for (;;) {
    const event = await call('GET', 'invocation/next');
    const id = event.headers['lambda-runtime-aws-request-id'];
    try {
      const answer = await handler(JSON.parse(event.body), { awsRequestId: id });
      await call('POST', `invocation/${id}/response`, JSON.stringify(answer));
    } catch (error) {
      await call('POST', `invocation/${id}/error`, JSON.stringify({ errorMessage: String(error), errorType: error.name }));
    }
  }
})();
