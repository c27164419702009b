SwaggerUIBundle({
  url: '/api/v1/api-docs.json',
  dom_id: '#docs',
  deepLinking: true,
  docExpansion: 'none',
  validatorUrl: null,
});
