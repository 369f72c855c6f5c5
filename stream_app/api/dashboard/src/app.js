/** The dashboard's page. */

document.title = 'CRM statistics';
