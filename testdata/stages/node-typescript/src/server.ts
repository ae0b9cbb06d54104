import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import express from 'express';
import { greeting } from './greeting';

const app = express();
const page = readFileSync(join(__dirname, '..', 'views', 'index.html'), 'utf8');

app.get('/', (_req, res) => {
  res.type('html').send(page.replace('%GREETING%', greeting()));
});

app.listen(Number(process.env.PORT ?? 8080), () => console.log('listening'));
